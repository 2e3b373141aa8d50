"""The web page: drop keypoints, pick a signer, watch the render, score two videos.

The page itself is Gradio's (extra ``[app]``) and lives in `layout` and `handlers`; everything else here runs without
Gradio: what may come in (`limits`, `workplace`), who has the device (`turns`), the model (`model`), and the two jobs
that the page can start (`rendering`, `scoring`).
"""

from __future__ import annotations
