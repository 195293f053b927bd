"""Schemes: which way of pruning is best?"""

from bhpvas.ui import framed

framed.ensure()
from bhpvas.ui.pages.schemes import page

page.draw()
