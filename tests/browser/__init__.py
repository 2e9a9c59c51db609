"""The dashboard in a browser. A package, so that its fixtures end with its last test.

Playwright keeps an event loop running while a browser is open: tests of other folders that come
after these in the same process need to run one of their own.
"""
