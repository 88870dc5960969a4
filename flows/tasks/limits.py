"""ACR's limits of a run, in seconds: https://learn.microsoft.com/azure/container-registry/container-registry-tasks-reference-yaml"""

RUN_TIMEOUT = 3600
LONGEST_RUN = 28800
