# Compile options of every target: one place, no target sets its own.
add_library(gemlet_flags INTERFACE)
target_compile_features(gemlet_flags INTERFACE cxx_std_20)
# g++ 12 fuses multiply-adds by default; canonical arithmetic forbids it (kernels/README.md).
target_compile_options(gemlet_flags INTERFACE -ffp-contract=off -fno-math-errno)
target_include_directories(gemlet_flags INTERFACE ${PROJECT_SOURCE_DIR})
if(GEMLET_DEVELOPER)
  target_compile_options(gemlet_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
                                                -Wdouble-promotion -Werror)
endif()
if(GEMLET_ASSERTS)
  target_compile_definitions(gemlet_flags INTERFACE GEMLET_ENABLE_ASSERT)
  # Optimised build types define NDEBUG, which would switch assert off again.
  target_compile_options(gemlet_flags INTERFACE -UNDEBUG)
endif()
string(REPLACE "," ";" GEMLET_SANITIZERS "${GEMLET_SANITIZE}")
if(GEMLET_SANITIZE)
  target_compile_options(gemlet_flags INTERFACE -fsanitize=${GEMLET_SANITIZE}
                                                -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(gemlet_flags INTERFACE -fsanitize=${GEMLET_SANITIZE})
endif()

# Tests are compiled in three presets and run for seconds.
add_library(gemlet_test_flags INTERFACE)
target_link_libraries(gemlet_test_flags INTERFACE gemlet_flags)
target_compile_options(gemlet_test_flags INTERFACE $<$<CONFIG:RelWithDebInfo>:-Og>)

# Instruction sets: a kernel file ends in _<isa>.cpp and gets that set's flags, nothing else does.
set(GEMLET_FLAGS_scalar "")
set(GEMLET_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(GEMLET_FLAGS_avxvnni ${GEMLET_FLAGS_avx2} -mavxvnni)
# g++ 12's own AVX-512 header makes "undefined" vectors by self-initialisation, which its own warning
# then reports in our files.
set(GEMLET_FLAGS_avx512 -Wno-uninitialized -Wno-maybe-uninitialized ${GEMLET_FLAGS_avx2} -mavx512f -mavx512bw -mavx512vl -mavx512dq)
set(GEMLET_FLAGS_avx512vnni ${GEMLET_FLAGS_avx512} -mavx512vnni)
# ARM: the baseline, ARMv8.0, has NEON.
set(GEMLET_FLAGS_neon "")
set(GEMLET_FLAGS_dotprod -march=armv8.2-a+dotprod)
set(GEMLET_FLAGS_i8mm -march=armv8.2-a+dotprod+i8mm)
set(GEMLET_FLAGS_amx ${GEMLET_FLAGS_avx512vnni} -mamx-tile -mamx-int8)
if(GEMLET_SANITIZE)
  # Instrumented, the sets that few machines have take a minute to compile, and run nowhere: emulation is left out.
  foreach(isa avxvnni avx512 avx512vnni amx)
    list(APPEND GEMLET_FLAGS_${isa} -fno-sanitize=all)
  endforeach()
endif()
