"""The HTML report: tables and pictures of one run or of a comparison."""
