"""Running a simulator many times: in parallel, resumable."""
