"""The admin of `rollouts`: change requests and approval policies."""
