"""What measures speed and loss, runnable by anyone. Traffic goes to loopback only, is bounded, and stops by itself."""
