# Installs the library of BUILD below WORK and moves it, so that no path of the build can be needed;
# then builds examples/consumer against it, and hello.c by pkg-config where there is one.
function(run)
  execute_process(COMMAND ${ARGV} OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${ARGV}: exit ${result}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --component libgemlet --prefix ${WORK}/first)
file(RENAME ${WORK}/first ${WORK}/prefix)

run(${CMAKE_COMMAND} -S ${SOURCE}/examples/consumer -B ${WORK}/build -DCMAKE_C_COMPILER=${COMPILER}
    -DCMAKE_PREFIX_PATH=${WORK}/prefix)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${CMAKE_COMMAND} -DPROGRAM=${WORK}/build/hello -DMODEL=${MODEL} -P ${CMAKE_CURRENT_LIST_DIR}/hello_test.cmake)

find_program(pkg_config pkg-config)
if(pkg_config)
  set(ENV{PKG_CONFIG_PATH} ${WORK}/prefix/${LIBDIR}/pkgconfig)
  run(${pkg_config} --cflags --libs gemlet)
  separate_arguments(flags UNIX_COMMAND "${output}")
  run(${COMPILER} ${SOURCE}/examples/hello.c -o ${WORK}/hello ${flags})
  set(ENV{LD_LIBRARY_PATH} ${WORK}/prefix/${LIBDIR})
  run(${CMAKE_COMMAND} -DPROGRAM=${WORK}/hello -DMODEL=${MODEL} -P ${CMAKE_CURRENT_LIST_DIR}/hello_test.cmake)
endif()
file(REMOVE_RECURSE ${WORK})
