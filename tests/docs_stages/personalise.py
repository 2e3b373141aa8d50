from docs_stage import Stage

STAGE = Stage()
