#!/bin/sh
# Starts Debian's own systemd on a copy of a root, as the first process of namespaces of its own.
# $1: the root, which stays as it is; $2: what is changed of it; $3: a work folder beside that; $4: where it is put together;
# $5: a folder that is seen there as /trial; $6: one that is seen as /agent; $7: whether it has the card that /trial/sys tells of.
set -e
root=$1 upper=$2 work=$3 whole=$4 trial=$5 agent=$6
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$root,upperdir=$upper,workdir=$work,redirect_dir=off,metacopy=off,index=off" "$whole"
mkdir -p "$whole/trial" "$whole/agent"
mount --bind "$trial" "$whole/trial"
mount --bind "$agent" "$whole/agent"
cd "$whole"
mount -t proc proc proc
if [ -n "$7" ]; then
    mount --bind "$trial/sys" sys
else
    mount -t sysfs sysfs sys -o ro
fi
mount -t tmpfs tmpfs sys/fs/cgroup -o mode=755
mkdir sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
mount -t tmpfs tmpfs dev -o mode=755
for node in null zero full random urandom tty; do
    touch "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
mount -t tmpfs tmpfs dev/shm -o mode=1777
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for folder in run tmp; do
    mount -t tmpfs tmpfs "$folder" -o mode=755
done
chmod 1777 tmp
ip link set lo up
mkdir -p run/before
pivot_root . run/before
umount -l /run/before
exec env -i container=skep-trial PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=null
