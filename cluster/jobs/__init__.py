"""Jobs of a Ray cluster: submit, watch, stop, through its dashboard's address."""

from cluster.jobs._client import DEFAULT_ADDRESS as DEFAULT_ADDRESS
from cluster.jobs._jobs import RayJobs as RayJobs
from cluster.jobs._shipping import our_packages as our_packages
from cluster.jobs._shipping import version_there as version_there
from cluster.jobs._state import JobReport as JobReport
from cluster.jobs._state import JobState as JobState
