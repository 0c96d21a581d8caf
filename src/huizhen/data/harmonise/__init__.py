"""Harmonisation: what differs between hospitals because of how images were made, taken out before learning.

Of images: `bias_field`, `spacing`, `landmarks`, `mammogram`, `ultrasound`, in a declared order (`chain`). Of
features: `combat`, whose pooled part is found from sums over sites and whose site part stays at its site.
Everything that is fitted is fitted on training patients alone.
"""
