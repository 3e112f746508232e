"""The model that tokexplore ships: data only."""
