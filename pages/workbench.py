"""Workbench: which heads can go?"""

from bhpvas.ui import framed

framed.ensure()
from bhpvas.ui.pages.workbench import page

page.draw()
