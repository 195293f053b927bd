"""Export: what do I take along?"""

from bhpvas.ui import framed

framed.ensure()
from bhpvas.ui.pages.export import page

page.draw()
