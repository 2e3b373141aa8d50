"""Each clip of a data set signed again by other people, in the files that recognisers read.

    settings.py, variation.py   what is made of a clip: everything that its content depends on
    jobs.py                     which clips are made, their names, seeds and signers
    clip.py, gate.py            one clip: fitted, rendered, judged, put in place
    workers.py, cluster.py      many clips: processes of this machine, actors of a Ray cluster
    manifest.py                 what was made, one JSON line a clip
    layouts/                    the files of the finished data set
    run.py                      all of it in order

A clip's files depend on (source clip, copy number, seed, settings, weights) alone: shards, clusters and resumed runs
write the same ones.
"""
