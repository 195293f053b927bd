"""Sentence: what does a head look at?"""

from bhpvas.ui import framed

framed.ensure()
from bhpvas.ui.pages.sentence import page

page.draw()
