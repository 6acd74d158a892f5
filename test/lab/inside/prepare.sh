# Part of a lab machine's /init, before systemd starts: puts the clone where it can be written, and the services in place
# as an administrator would, so that they start at boot.
busybox mount -t overlay -o lowerdir=/new/opt/clone,upperdir=/new/opt/upper,workdir=/new/opt/work overlay /new/opt/berth
units=/new/etc/systemd/system
busybox mkdir -p $units/multi-user.target.wants
for unit in packaging/berth.service test/lab/inside/berth-lab.service; do
  busybox cp /new/opt/clone/$unit $units/
  busybox ln -s ../${unit##*/} $units/multi-user.target.wants/${unit##*/}
done
