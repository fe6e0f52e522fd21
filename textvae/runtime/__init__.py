"""What the code runs on: processes, devices, seeds, files, optional packages."""
