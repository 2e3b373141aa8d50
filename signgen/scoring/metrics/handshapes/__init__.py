"""Which hand shape a hand shows: the judge of whether generated fingers can still be read.

classifier = load_handshape_classifier()
belief = classifier.classify(frames, search_boxes(xy, confidence, width, height))   # (N,2,S)
labels = read_shape_labels("keypoints/clip.npz", classifier.shapes)               # (T,2), -1: none
"""

from __future__ import annotations

from signgen.scoring.metrics.handshapes.classifier import HandshapeClassifier, load_handshape_classifier, report
from signgen.scoring.metrics.handshapes.labels import read_shape_labels, shape_names_in

__all__ = ["HandshapeClassifier", "load_handshape_classifier", "read_shape_labels", "report", "shape_names_in"]
