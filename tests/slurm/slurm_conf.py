# SPDX-License-Identifier: Apache-2.0
"""slurm.conf of a private cluster."""

# The GPU node's MIG slices: type -> how many.
MIG_TYPES = {'1g.5gb': 4, '2g.10gb': 2, '7g.40gb': 1}

PARTITIONS = '''
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=7-00:00:00 DefaultTime=1:00:00 State=UP
PartitionName=gpu Nodes=n2 MaxTime=7-00:00:00 DefaultTime=1:00:00 State=UP
'''

CONF = '''
ClusterName=auspex
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={root}
AuthType=auth/munge
AuthInfo=socket={base}/run/munge.sock
CredType=cred/munge
PluginDir={plugin_dir}
PlugStackConfig={base}/plugstack.conf
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool-%n
SlurmctldPidFile={base}/state/slurmctld.pid
SlurmdPidFile={base}/run/slurmd-%n.pid
SlurmctldLogFile={base}/log/slurmctld.log
SlurmdLogFile={base}/log/slurmd-%n.log
SlurmctldDebug=info
SlurmdDebug=info
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
SchedulerType=sched/backfill
PriorityType=priority/{priority}
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=2
MailProg=/bin/true
MaxJobCount=20000
GresTypes=gpu
SchedulerParameters={scheduler}
JobCompType=jobcomp/filetxt
JobCompLoc={base}/log/jobcomp
'''

SCHEDULER = 'batch_sched_delay=1,sched_min_interval=100000,sched_interval=5,bf_interval=5'
