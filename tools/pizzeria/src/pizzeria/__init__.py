"""The pizzeria's command line, supervisor and simulators."""
