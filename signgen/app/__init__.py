"""The web page: drop keypoints, pick a signer, watch the render, score two videos.

The page itself is Gradio's (extra ``[app]``): its parts are in `layout`, what happens on a click in `tabs`. Everything
else runs without Gradio: what may come in (`context`, `clips`), who has the device (`jobs`), the model (`model`), the
frames of a running render (`live`), the two jobs that the page can start (`rendering`, `scoring`) and what the page
says about them (`status`). `server` puts all of it behind one address.
"""
