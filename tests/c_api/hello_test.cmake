# Runs examples/hello.c: PROGRAM on MODEL. Its answer is known, and a missing model is one line.
macro(run)
  execute_process(COMMAND ${PROGRAM} ${ARGN}
                  OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE result)
  set(seen "exit ${result}, output [${output}], errors [${errors}]")
endmacro()

run(${MODEL} "Reverse the words: key ball boat gold seven")
if(NOT seen STREQUAL "exit 0, output [seven gold boat ball key\n], errors []")
  message(FATAL_ERROR "answer: ${seen}")
endif()

run(${MODEL}/no-such-model)
if(NOT seen MATCHES "^exit 1, output \\[\\], errors \\[[^\n]*no-such-model[^\n]*\n\\]$")
  message(FATAL_ERROR "missing model: ${seen}")
endif()
