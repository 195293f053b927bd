"""Roles: what is each head for?"""

from bhpvas.ui import framed

framed.ensure()
from bhpvas.ui.pages.roles import page

page.draw()
