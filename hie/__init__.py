"""The regional health-information exchange: core, portal, simulator and the composition root."""
