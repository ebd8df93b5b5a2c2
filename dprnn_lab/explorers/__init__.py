"""Interactive widgets: each has a pure compute function, a draw function and a thin ipywidgets binding."""
