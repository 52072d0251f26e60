"""One picture and its boxes: showing them, drawing and editing them, and the panels beside them.

Decides nothing about storage: an edit is a wish (``CanvasView.edit_requested``) until ``set_regions`` confirms it.
Frames: ``screen`` is logical pixels of the widget, ``px`` the upright image's pixels, ``unit`` as in the domain.
"""
