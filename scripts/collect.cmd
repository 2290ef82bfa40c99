@echo off
rem Collects what "dryport explain" needs, where dryport itself cannot run.
rem
rem   collect.cmd                 writes collected.txt where it is run
rem   collect.cmd FILE            writes FILE
rem
rem For Windows XP and Server 2003 up to 11 and Server 2025, in every language. It installs and
rem changes nothing and sends nothing anywhere. It needs no administrator; as one, it adds the
rem programs that hold the ports.
rem
rem It collects: the version of Windows; the dynamic and the excluded port ranges; two values of
rem the registry; numbers and times of the last events about ports; and all TCP and UDP sockets
rem with the IP addresses and ports of both ends, their state and process id.
rem Nothing secret is in it: no host name, no name of a user, no environment, no arguments of
rem commands, no content of a connection. Look through it before you send it all the same.
rem
rem What was called stands before its output behind a prompt, as in a console: that tells the
rem protocol and family of a range. The prompt is made up, so that no folder is named.

setlocal
set "OUT=%~1"
if "%OUT%"=="" set "OUT=collected.txt"
if exist "%OUT%" goto exists
>"%OUT%" echo # Collected by collect.cmd of dryport, for "dryport explain". Look through it before you send it.
if not exist "%OUT%" goto unwritable

call :run ver
call :run netsh int ipv4 show dynamicport tcp
call :run netsh int ipv4 show dynamicport udp
call :run netsh int ipv6 show dynamicport tcp
call :run netsh int ipv6 show dynamicport udp
call :run netsh int ipv4 show excludedportrange protocol=tcp
call :run netsh int ipv4 show excludedportrange protocol=udp
call :run netsh int ipv6 show excludedportrange protocol=tcp
call :run netsh int ipv6 show excludedportrange protocol=udp
set "KEY=HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters"
call :run reg query %KEY% /v MaxUserPort
call :run reg query %KEY% /v TcpTimedWaitDelay
call :events
call :run netstat -ano
call :bound
call :owners
echo "%OUT%" is written. Look through it before you send it.
exit /b 0

:exists
echo collect.cmd: "%OUT%" exists already, and is not overwritten 1>&2
exit /b 3

:unwritable
echo collect.cmd: "%OUT%" could not be written 1>&2
exit /b 3

:run
>>"%OUT%" echo.
>>"%OUT%" echo C:\^>%*
%* >>"%OUT%" 2>&1
exit /b

rem Events of Windows Vista and later name the computer, and some the user. So only the lines with
rem the number and with the time of an event are kept, which read alike in every language. The query
rem is not shown: its numbers would be taken for events.
:events
set "QUERY=*[System[Provider[@Name='Tcpip'] and (EventID=4227 or EventID=4231 or EventID=4266)]]"
>>"%OUT%" echo.
>>"%OUT%" echo C:\^>wevtutil qe System    (the last 20 events of Tcpip about ports: time and number)
wevtutil qe System /q:"%QUERY%" /c:20 /rd:true /f:text 2>nul | findstr /r /c:": *4227 *$" /c:": *4231 *$" /c:": *4266 *$" /c:": *20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:" >>"%OUT%"
exit /b

rem -q adds sockets that are bound and neither listen nor connect: Windows 10 and later. Elsewhere
rem netstat answers with its help, which has no rows.
:bound
>>"%OUT%" echo.
>>"%OUT%" echo C:\^>netstat -anoq
netstat -anoq 2>nul | findstr /b /r /c:" *TCP .*:[0-9]" /c:" *UDP .*:[0-9]" >>"%OUT%"
exit /b

rem -b adds the programs. It needs an administrator and can take minutes, so it comes last: what is
rem above is whole even if you do not wait for it.
:owners
net session >nul 2>&1
if errorlevel 1 goto ordinary
echo Now the programs, which can take some minutes. Ctrl-C leaves them out.
call :run netstat -anob
exit /b

:ordinary
>>"%OUT%" echo.
>>"%OUT%" echo # the programs are left out: that needs an administrator
exit /b
