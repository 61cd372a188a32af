"""What people and CronJobs run around the pipeline. The only package that knows Kubernetes."""
