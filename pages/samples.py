"""Samples: which sentences does it change?"""

from bhpvas.ui import framed

framed.ensure()
from bhpvas.ui.pages.samples import page

page.draw()
