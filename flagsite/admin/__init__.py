"""Registers every page of the product, and those of people."""

from importlib import import_module
from pkgutil import iter_modules

from django.contrib import admin

from flags.admin.panels import panels
from flagsite import desk
from flagsite.admin.people import PersonAdmin
from flagsite.models import User
from rollouts.admin import details, flag_endings, live_plans, planned_milestones

# Not done by the packages themselves: their pure modules are also imported by template libraries, while the theme's own
# admin classes are only half loaded.
for _package in ("audits.admin", "flags.admin", "rollouts.admin"):
    for _module in iter_modules(import_module(_package).__path__):
        import_module(f"{_package}.{_module.name}")

panels.open_requests = desk.open_requests
panels.policies = desk.policies
panels.live_plans = live_plans.live_plans
panels.milestones = planned_milestones.planned_milestones
panels.ending = flag_endings.flag_ending
panels.change_details = details.change_details
panels.add_member = details.add_member
admin.site.register(User, PersonAdmin)
