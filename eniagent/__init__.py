"""eniagent: node-side diagnostics for Amazon EKS workers that use the AWS VPC CNI."""

__version__ = "0.1.0"
