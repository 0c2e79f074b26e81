"""The oracle: exact definitions to hold implementations against."""
