"""What the code runs on: processes, devices, random seeds, files and optional packages."""
