"""Learn: how does all this work?"""

from bhpvas.ui import framed

framed.ensure()
from bhpvas.ui.pages.learn import page

page.draw()
