# 64-bit Android with Google's NDK. Correct on paper: it has not been run, there was no NDK.
#   ANDROID_NDK_HOME=/opt/android-ndk-r27 cmake -S . -B build/android -DCMAKE_BUILD_TYPE=Release -DGEMLET_TESTS=OFF \
#       -DGEMLET_EXAMPLES=OFF -DCMAKE_TOOLCHAIN_FILE=toolchains/android-arm64.cmake -DGEMLET_SYSROOT=HEADERS
# HEADERS (a full path) holds the two libraries of headers that are always needed, nlohmann-json and CLI11, with their
# CMake packages, as installed by their own builds with -DCMAKE_INSTALL_PREFIX=HEADERS; not /usr, whose C library is another.
# Everything optional is left out where that tree does not have it: what stays is what the preset arm64-static has.
# Source: developer.android.com/ndk/guides/cmake.
if(NOT DEFINED ENV{ANDROID_NDK_HOME})
  message(FATAL_ERROR "ANDROID_NDK_HOME must name the folder of the NDK")
endif()
set(ANDROID_ABI arm64-v8a)
set(ANDROID_PLATFORM android-28)  # Android 9: getrandom, aligned_alloc
set(ANDROID_STL c++_static)       # one file to copy
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES GEMLET_SYSROOT)
include($ENV{ANDROID_NDK_HOME}/build/cmake/android.toolchain.cmake)
# The NDK's file looks into its own tree only.
list(APPEND CMAKE_FIND_ROOT_PATH ${GEMLET_SYSROOT})
