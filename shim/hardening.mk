# Flags of every C program, beside its own: HARDEN for the compiler (with WERROR=1 no warning passes: for the tests, not for
# set-up, where a newer compiler may know more warnings than ours); LINK_PIE for what is linked with glibc, and
# STATIC_PIE (before the sources) with STATIC_PIE_END (behind them) for what is linked with musl, whose gcc knows no -static-pie.
HARDEN = -Wall -Wextra $(if $(WERROR),-Werror) -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fPIE
LINK_PIE = -pie -Wl,-z,relro,-z,now,-z,noexecstack
MUSL = /usr/lib/$(shell uname -m)-linux-musl
STATIC_PIE = -static -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text,-z,relro,-z,now,-z,noexecstack \
	$(MUSL)/rcrt1.o $(MUSL)/crti.o $(shell gcc -print-file-name=crtbeginS.o)
STATIC_PIE_END = $(shell gcc -print-file-name=crtendS.o) $(MUSL)/crtn.o
