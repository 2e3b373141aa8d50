"""Scores of generated video against true video: pairs of clips in, `EvaluationResult` out."""
