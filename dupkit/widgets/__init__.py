"""The page in the notebook: thin views over ``review.state``; the only room that imports ipywidgets."""

from dupkit.widgets.review import ReviewWidget as ReviewWidget
