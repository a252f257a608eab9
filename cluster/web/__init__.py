"""The pages for people beside the gateway: jobs, their progress, previews and reports."""
