"""Commands that go on until they are stopped: the page, the live render, and renders for other programs."""
