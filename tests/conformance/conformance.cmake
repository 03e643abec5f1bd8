# What others have written judges wire/ and the Connect protocol: see run.py.
add_test(NAME conformance COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/conformance/run.py ${CMAKE_BINARY_DIR})
set_tests_properties(conformance PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77)
