# 64-bit ARM Linux with Debian's cross compiler (toolchains/install_packages.sh arm64). The baseline
# is ARMv8.0, so one binary runs on every such board; better instruction sets are chosen at run time.
# GEMLET_SYSROOT, if given: a tree of arm64 packages to link with (toolchains/make_sysroot.sh).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_FLAGS_INIT -march=armv8-a)
set(CMAKE_CXX_FLAGS_INIT -march=armv8-a)

# Libraries come from the target alone. Headers and packages of header-only libraries are the same
# for all machines, so the host's serve.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES GEMLET_SYSROOT)
set(CMAKE_FIND_ROOT_PATH ${GEMLET_SYSROOT} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
if(GEMLET_SYSROOT)
  # Headers that differ between machines.
  string(APPEND CMAKE_C_FLAGS_INIT " -isystem ${GEMLET_SYSROOT}/usr/include/aarch64-linux-gnu")
  string(APPEND CMAKE_CXX_FLAGS_INIT " -isystem ${GEMLET_SYSROOT}/usr/include/aarch64-linux-gnu")
  set(libraries ${GEMLET_SYSROOT}/usr/lib/aarch64-linux-gnu)
  set(CMAKE_EXE_LINKER_FLAGS_INIT "-L${libraries} -Wl,-rpath-link,${libraries}")
  string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -Wl,-rpath-link,${GEMLET_SYSROOT}/lib/aarch64-linux-gnu")
  set(CMAKE_SHARED_LINKER_FLAGS_INIT "${CMAKE_EXE_LINKER_FLAGS_INIT}")
endif()

# Tests run here too, where qemu-user-static is installed.
find_program(GEMLET_QEMU qemu-aarch64-static qemu-aarch64)
mark_as_advanced(GEMLET_QEMU)
set(GEMLET_EMULATED_CPU max CACHE STRING "CPU that tests run on under qemu: max, cortex-a72, cortex-a76 ..")
if(GEMLET_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${GEMLET_QEMU};-cpu;${GEMLET_EMULATED_CPU})
  if(GEMLET_SYSROOT)  # the loader and the libraries
    set(CMAKE_CROSSCOMPILING_EMULATOR ${GEMLET_QEMU};-L;${GEMLET_SYSROOT};-cpu;${GEMLET_EMULATED_CPU})
  endif()
endif()
