"""What several rooms need of files."""
