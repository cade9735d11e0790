"""``python -m shop``."""

from pizzeria_chassis.serve import serve
from pizzeria_chassis.settings import load_settings

from .app import ShopSettings, create

serve(create, load_settings(ShopSettings))
