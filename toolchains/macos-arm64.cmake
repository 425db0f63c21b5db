# macOS on Apple's processors, built on a Mac with Xcode's command line tools. Correct on paper: it has not been run, there was
# no Mac. Kernels and their detection are written for it; core/threads/affinity.cpp calls Linux and has no counterpart yet,
# so the build is expected to stop there. In a Linux virtual machine the program runs as on every ARM board.
#   brew install nlohmann-json cli11 jpeg-turbo libpng giflib webp libsndfile mpg123 libsoxr simdjson
#   cmake -S . -B build/macos -DCMAKE_BUILD_TYPE=Release -DGEMLET_TESTS=OFF -DCMAKE_TOOLCHAIN_FILE=toolchains/macos-arm64.cmake
# Source: cmake.org/cmake/help/latest, CMAKE_OSX_ARCHITECTURES and CMAKE_OSX_DEPLOYMENT_TARGET (cached, before project()).
set(CMAKE_OSX_ARCHITECTURES arm64 CACHE STRING "Apple's processors")
set(CMAKE_OSX_DEPLOYMENT_TARGET 13.3 CACHE STRING "The first whose library writes floating point with to_chars")
list(APPEND CMAKE_PREFIX_PATH /opt/homebrew)
