"""`tokexplore lab`: the determinism lab's experiments on the command line, a file each."""
