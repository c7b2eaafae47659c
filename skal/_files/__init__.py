"""What several rooms need of files: fingerprints, descriptions of jobs, atomic writes and append-only logs."""
