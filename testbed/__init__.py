"""The real servers and our services as processes of this machine, on the configuration that ships.

What tests and benchmarks run against. Each server is started, stopped, killed and started again on its port and data.
"""
