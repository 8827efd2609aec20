"""What makes a site ready to start: secrets, users, certificates, access."""
